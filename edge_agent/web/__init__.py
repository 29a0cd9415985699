"""The live page: an optional extra, `pip install 'edge-agent[web]'`.

Import `page` only if `web.enabled` is true: it and `routes` need aiohttp.
"""
