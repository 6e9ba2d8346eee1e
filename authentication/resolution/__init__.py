"""What follows from the use of a credential: introspection, last use, audit of rejections."""
