"""The labels of tasks and networks in figures and tables, defined once."""

TASKS = {
    "denoise_s15": "denoising, σ 15",
    "denoise": "denoising, σ 25",
    "denoise_s50": "denoising, σ 50",
    "denoise_poisson": "Poisson noise",
    "denoise_impulse": "impulse noise",
    "denoise_impulse_squared": "impulse noise, squared error",
    "denoise_speckle": "speckle",
    "jpeg": "JPEG, quality 10",
    "inpaint": "half of the pixels",
    "inpaint_text": "text",
    "inpaint_region": "holes",
    "inpaint_sparse": "2 % of the pixels",
    "superres": "super-resolution ×4",
    "superres_x8": "super-resolution ×8",
    "flash": "flash and no flash",
}

MEASURED = ("denoise", "superres", "inpaint")
"""The three tasks that most studies measure."""


def of_tasks(*names: str) -> dict[str, str]:
    """Returns {task: label} in the order given; by default for `MEASURED`."""
    return {name: TASKS[name] for name in names or MEASURED}


def net(paper: str, scale: str) -> str:
    """Returns the classifier used at a scale: the paper's, or its substitute in the miniature."""
    return paper if scale == "paper" else f"EfficientNet-Lite0, a substitute for {paper}"
