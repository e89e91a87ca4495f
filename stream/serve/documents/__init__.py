"""The API's own descriptions: OpenAPI and AsyncAPI."""
