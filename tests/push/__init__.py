"""Tests of doorward.push, and the services it speaks to, played on loopback."""
