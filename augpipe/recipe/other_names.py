"""What Albumentations, torchvision and Ultralytics call things, as hints in messages: here it is written so.

No name here means anything in a recipe. Names are in lower case without separators. Strengths are mostly said in other
units there, so a hint shows a step as it could be written, not a translation.
"""

from __future__ import annotations

import re

OPERATIONS_ELSEWHERE: dict[str, str] = {
    "adjustgamma": "gamma",
    "bboxsaferandomcrop": "bbox_safe_crop",
    "coarsedropout": "erase: {count: [1, 8], area: [0.01, 0.03]}",
    "compose": "all_of: [horizontal_flip, color_jitter]",
    "cutout": "erase: {count: 1, area: 0.1}",
    "degrees": "affine: {rotate: 10}",
    "erasing": "erase",
    "fliplr": "horizontal_flip: {p: 0.5}",
    "flipud": "vertical_flip: {p: 0.5}",
    "gaussnoise": "gaussian_noise",
    "grayscale": "to_gray",
    "greyscale": "to_gray",
    "hsv": "color_jitter: {hue: 0.015, saturation: 0.7, brightness: 0.4}",
    "hsvh": "color_jitter: {hue: 0.015}",
    "hsvs": "color_jitter: {saturation: 0.7}",
    "hsvv": "color_jitter: {brightness: 0.4}",
    "hue": "color_jitter: {hue: 0.05}",
    "huesaturationvalue": "color_jitter: {hue: 0.05, saturation: 0.3, brightness: 0.2}",
    "imagecompression": "jpeg: {quality: [40, 95]}",
    "longestmaxsize": "resize: {longest: 640}",
    "padifneeded": "pad: {size: [640, 640]}",
    "randomapply": "all_of: [gaussian_blur, to_gray]",
    "randomchoice": "one_of: [gaussian_blur, to_gray]",
    "randomerasing": "erase: {p: 0.5, area: [0.02, 0.33]}",
    "randomgrayscale": "to_gray: {p: 0.1}",
    "randomrotation": "rotate: {degrees: 30}",
    "randomsizedbboxsafecrop": "bbox_safe_crop: {size: [640, 640]}",
    "randomsizedcrop": "random_resized_crop: {size: 640}",
    "saturation": "color_jitter: {saturation: 0.3}",
    "sequential": "all_of: [horizontal_flip, color_jitter]",
    "shear": "affine: {shear: 5}",
    "shiftscalerotate": "affine: {rotate: 45, scale: [0.9, 1.1], translate: 0.06}",
    "smallestmaxsize": "resize: {shortest: 640}",
    "translate": "affine: {translate: 0.1}",
}
"""Name elsewhere → a step here."""

TRAINERS = frozenset(
    [
        "convertimagedtype",
        "fromfloat",
        "normalize",
        "piltotensor",
        "todtype",
        "tofloat",
        "toimage",
        "topilimage",
        "totensor",
        "totensorv2",
    ]
)
"""What a trainer does behind the shards, which hold 8-bit pictures."""

NOT_HERE = frozenset(
    [
        "advancedblur",
        "augmix",
        "autoaugment",
        "autocontrast",
        "centercrop",
        "channeldropout",
        "channelshuffle",
        "clahe",
        "closemosaic",
        "copypaste",
        "cutmix",
        "defocus",
        "downscale",
        "elastic",
        "elastictransform",
        "emboss",
        "equalize",
        "fancypca",
        "fog",
        "glassblur",
        "griddistortion",
        "griddropout",
        "gridshuffle",
        "invert",
        "invertimg",
        "isonoise",
        "maskdropout",
        "medianblur",
        "mixup",
        "mosaic",
        "motionblur",
        "multiplicativenoise",
        "opticaldistortion",
        "piecewiseaffine",
        "pixeldropout",
        "posterize",
        "rain",
        "randaugment",
        "randomfog",
        "randomgridshuffle",
        "randomrain",
        "randomscale",
        "randomshadow",
        "randomsnow",
        "randomsunflare",
        "randomtonecurve",
        "rgbshift",
        "sharpen",
        "snow",
        "solarize",
        "spatter",
        "superpixels",
        "tosepia",
        "transpose",
        "trivialaugment",
        "trivialaugmentwide",
        "unsharpmask",
        "zoomout",
    ]
)
"""What there is no step for, nor anything near."""

_ANGLE = dict.fromkeys(("limit", "angle", "angles", "maxangle", "anglelimit"), "degrees")
_SIZE = dict.fromkeys(("height", "width", "h", "w", "minheight", "minwidth", "imgsz", "imagesize", "newshape"), "size")
_FILL = dict.fromkeys(("value", "fillvalue", "padvalue", "color", "colour", "borderfill"), "fill")
_LEVELS = {"brightnesslimit": "brightness", "contrastlimit": "contrast"}
_TONES = {
    **_LEVELS,
    "huelimit": "hue",
    "hueshiftlimit": "hue",
    "satshiftlimit": "saturation",
    "saturationlimit": "saturation",
}
_SHAPES = {"aspect": "ratio", "aspectratio": "ratio"}

PARAMETERS_ELSEWHERE: dict[str, dict[str, str]] = {
    "": dict.fromkeys(("augmentations", "augmenters", "operations", "pipeline", "transform", "transforms"), "steps"),
    "affine": {
        **dict.fromkeys(("degrees", "limit", "angle", "rotatelimit"), "rotate"),
        **dict.fromkeys(("shift", "shiftlimit", "translatepercent"), "translate"),
        **dict.fromkeys(("scalelimit", "zoom"), "scale"),
        "shearx": "shear",
    },
    "bbox_safe_crop": {**_SIZE, **_SHAPES},
    "brightness_contrast": _LEVELS,
    "color_jitter": _TONES,
    "erase": {
        **_FILL,
        **_SHAPES,
        "scale": "area",
        **dict.fromkeys(("n", "numholes", "numholesrange", "maxholes"), "count"),
    },
    "gamma": {"gamma": "amount", "gammalimit": "amount"},
    "gaussian_blur": dict.fromkeys(("blurlimit", "kernelsize", "sigmalimit", "radius", "ksize"), "sigma"),
    "gaussian_noise": dict.fromkeys(("varlimit", "stdrange", "stdlimit", "var", "variance", "sigma", "scale"), "std"),
    "jpeg": dict.fromkeys(("compression", "qualityrange", "qualitylower", "qualityupper", "qualitylimit"), "quality"),
    "letterbox": {**_SIZE, **_FILL, "scaleup": "enlarge"},
    "pad": {**_SIZE, **_FILL, "padding": "sides", "divisor": "multiple", "position": "place"},
    "perspective": {"distortion": "scale", "distortionscale": "scale"},
    "random_crop": {**_SIZE, **_SHAPES},
    "random_resized_crop": {**_SIZE, **_SHAPES, "area": "scale"},
    "resize": {**_SIZE, "maxsize": "longest", "minsize": "shortest"},
    "rotate": {**_ANGLE, "rotate": "degrees"},
    "rotate90": {"factor": "times", "k": "times", "n": "times"},
}
"""Operation, or nothing for the top of a recipe → parameter elsewhere → parameter here."""

_CHANCE = dict.fromkeys(("prob", "probability", "chance"), "p")


def bare(name: str) -> str:
    """A name in lower case without separators: HorizontalFlip, horizontal-flip and horizontal_flip are the same."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def step_elsewhere(name: str) -> str:
    """A hint for the name of a step that other libraries know, beginning with ``;``; empty for any other name."""
    asked = bare(name)
    if asked in OPERATIONS_ELSEWHERE:
        return f"; here that is written like '{OPERATIONS_ELSEWHERE[asked]}'"
    if asked in TRAINERS:
        return "; shards hold 8-bit pictures, so that is for the trainer: leave it out"
    if asked in NOT_HERE:
        return "; there is no step like it: leave it out, or see 'augpipe recipes operations'"
    return ""


def parameter_elsewhere(operation: str, name: str) -> str:
    """A hint for what other libraries call a parameter of an operation, or of the top of a recipe; else empty."""
    asked = bare(name)
    if not operation and asked in ("copies", "seed"):
        return f"; that is the option --{asked} of the command"
    if asked == "alwaysapply":
        return "; a step takes part with p, always if it is not given"
    here = PARAMETERS_ELSEWHERE.get(operation, {}).get(asked) or (_CHANCE.get(asked) if operation else None)
    return f"; here that is '{here}'" if here else ""
