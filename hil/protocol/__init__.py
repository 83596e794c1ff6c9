"""The link's protocol as a document: models of what goes up; schemas, pages and golden vectors made from the source."""
