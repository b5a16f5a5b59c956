"""What people are writing on pages, before it becomes entities: drafts of forms, and files to import."""
