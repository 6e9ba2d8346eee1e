"""What the console and the pages for people share: rendering, sessions in a cookie, and forms."""
