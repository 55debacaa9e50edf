"""Somebody's own program on loopback: the demo service alone, as a process."""

import sys

import uvicorn

from doorward.server.demo import create_demo

if __name__ == "__main__":
    uvicorn.run(create_demo(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
