"""HTML pages of caches, bundles, workloads and profiles: one file each, that asks no network for anything.

cache bundle workload profile     what there is, read by the code that look-ups and commands use
  -> pages                        what is to be shown, as plain values (page.py)
  -> one file                     by a template of Jinja2 that escapes every text (render.py)
"""
