"""Asks the service whose token an application was sent (RFC 7662), and what it answers.

The counterpart of `counterfoil.lookup`, for applications that do not reach the database. Needs h11.
"""
