"""Confinement of a process by the Linux kernel. Imports neither Django nor clusters nor backups.

`clusters.drivers.embedded` and the archive command share this implementation. See
docs/adr/0015-confinement.md.
"""
