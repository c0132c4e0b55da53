"""The console: pages for people on this machine."""

from fastapi import APIRouter

router = APIRouter(include_in_schema=False)
