"""Introspects credentials, and records their last use and their rejections."""
