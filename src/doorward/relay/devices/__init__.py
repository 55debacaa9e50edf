"""Devices of an account that can be told of something: phones, tablets, browsers, and what live activity each shows.

A push token belongs to whoever registered it last: a phone handed on must not show its former owner's work.

Routes: `api/devices.py` (lists and browsers), `api/mobile.py` (registration). Neighbours: `activity` (what there is to
tell), `delivery` (telling it).
"""
