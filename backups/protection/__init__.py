"""Which collections there are, which policies take them, and whether their backups are as new as
promised.
"""
