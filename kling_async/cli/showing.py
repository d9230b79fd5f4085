"""What would be sent, shown without its key."""

from __future__ import annotations

import json

from ..inputs import Input
from ..printable import escaped
from ..providers import Provider
from .talk import data

__all__ = ["show_request"]


def show_request(provider: Provider, input: Input) -> None:
    """Print the request that would submit an input; whoever has no key can look at it, too."""
    request = provider.build_submit(input)
    for line in (
        f"{request.method} {provider.origin}{request.path}",
        "Authorization: [masked]",
        escaped(json.dumps(json.loads(request.body), indent=2, ensure_ascii=False)),
    ):
        data.print(line, soft_wrap=True, markup=False)
