"""The wire of the OpenAI Images API: scripts are translated to requests, and events back."""
