"""The published SDKs as they come from their registries, run unmodified as processes of their own.

`package.json` pins the JavaScript ones; `installed.javascript_sdks()` installs them when a test first asks.
"""
