"""Routes of the OpenAI wire."""

from fastapi import APIRouter

from fantascope.serve.openai import catalogue, files, images, moderations

router = APIRouter()
for part in (images, catalogue, moderations, files):
    router.include_router(part.router)
