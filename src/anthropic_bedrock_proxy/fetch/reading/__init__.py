"""Reading of fetched pages: HTML to Markdown, in a process that hostile pages may take down."""
