"""The strict core: what it accepts, and everything it must refuse."""
