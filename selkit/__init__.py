"""selkit tells whether a way of selecting instruction-tuning data is any good.

Plugins import :mod:`selkit.api`. People in a notebook use the functions that the commands are shells over:
:func:`selkit.pools.load_pool`, :func:`selkit.select.select`, ...
"""

__version__ = "0.1.0"
