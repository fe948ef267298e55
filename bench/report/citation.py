"""How to cite noise-bench. CITATION.cff says the same; a test compares them."""

TITLE = "noise-bench: which autoencoder removes which noise"
AUTHORS = "The noise-bench authors"
YEAR = 2026


def bibtex(version: str = "", commit: str = "") -> str:
    """The BibTeX entry of a version; what is empty is left out."""
    fields = {
        "author": f"{{{AUTHORS}}}",  # a name in braces of its own is not split into first and last names
        "title": f"{{{TITLE}}}",
        "year": str(YEAR),
        "version": version,
        "note": f"commit {commit}" if commit else "",
    }
    lines = [f"  {key} = {{{value}}}," for key, value in fields.items() if value]
    return "\n".join(["@software{noise-bench,", *lines, "}"])
