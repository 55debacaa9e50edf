"""`python -m doorward` is the `doorward` program."""

from doorward.cli import main

main()
