"""The T3 Connect wire, member by member."""
