"""What the Backend API is asked, one file per resource, and answers that only it gives."""
