"""Rows that people have → conversations: one reader of files by content, one of rows by form."""
