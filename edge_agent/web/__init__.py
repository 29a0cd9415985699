"""The live page: an optional extra, `pip install 'edge-agent[web]'`.

Nothing here is imported unless `web.enabled` is true; `page` alone needs aiohttp.
"""
