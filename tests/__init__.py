"""Tests mirror the package tree; a test's name is the sentence it proves."""
