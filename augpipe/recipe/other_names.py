"""What Albumentations, torchvision and Ultralytics call things, as hints in messages: here it is written so.

No name here means anything in a recipe. Names are in lower case without separators. Strengths are mostly said in other
units there, so a hint shows a step as it could be written, not a translation.
"""

from __future__ import annotations

import re

OPERATIONS_ELSEWHERE: dict[str, str] = {
    "additivenoise": "gaussian_noise",
    "adjustgamma": "gamma",
    "advancedblur": "gaussian_blur",
    "atmosphericfog": "fog",
    "bboxsaferandomcrop": "bbox_safe_crop",
    "blur": "box_blur: {size: [3, 7]}",
    "channelpermutation": "channel_shuffle: {p: 0.1}",
    "channelswap": "channel_shuffle",
    "coarsedropout": "erase: {count: [1, 8], area: [0.01, 0.03]}",
    "colorjiggle": "color_jitter",
    "compose": "all_of: [horizontal_flip, color_jitter]",
    "constrainedcoarsedropout": "object_cutout",
    "d4": "symmetry: {group: d4}",
    "degrees": "affine: {rotate: 10}",
    "erasing": "erase",
    "fancypca": "color_temperature",
    "fixedsizecrop": "scale_jitter: {size: 640}",
    "fliplr": "horizontal_flip: {p: 0.5}",
    "flipud": "vertical_flip: {p: 0.5}",
    "gauss": "gaussian_noise",
    "gaussnoise": "gaussian_noise",
    "glassblur": "defocus",
    "grayscale": "to_gray",
    "greyscale": "to_gray",
    "gridmask": "grid_dropout",
    "hsvh": "hsv: {hue: 0.015}",
    "hsvs": "hsv: {saturation: 0.7}",
    "hsvv": "hsv: {value: 0.4}",
    "hue": "color_jitter: {hue: 0.05}",
    "huesaturationvalue": "hsv: {hue: 0.05, saturation: 0.3, value: 0.2}",
    "illuminate": "illumination",
    "imagecompression": "jpeg: {quality: [40, 95]}",
    "imgcompression": "jpeg: {quality: [40, 95]}",
    "invertimg": "invert",
    "lensflare": "sun_flare",
    "longestmaxsize": "resize: {longest: 640}",
    "maskdropout": "object_cutout",
    "multiplicativenoise": "speckle_noise",
    "padifneeded": "pad: {size: [640, 640]}",
    "planckianjitter": "color_temperature",
    "plasmabrightnesscontrast": "illumination: {shape: plasma}",
    "randomadjustsharpness": "sharpen",
    "randomapply": "all_of: [gaussian_blur, to_gray]",
    "randomautocontrast": "autocontrast: {p: 0.2}",
    "randomchannelpermutation": "channel_shuffle: {p: 0.1}",
    "randomchoice": "one_of: [gaussian_blur, to_gray]",
    "randomequalize": "equalize: {p: 0.2}",
    "randomerasing": "erase: {p: 0.5, area: [0.02, 0.33]}",
    "randomfog": "fog",
    "randomgravel": "pixel_dropout",
    "randomgrayscale": "to_gray: {p: 0.1}",
    "randominvert": "invert: {p: 0.1}",
    "randomioucrop": "iou_crop",
    "randomphotometricdistort": "photometric_distort",
    "randomposterize": "posterize",
    "elastictransform": "elastic",
    "piecewiseaffine": "elastic",
    "randomrain": "rain",
    "randomrotation": "rotate: {degrees: 30}",
    "randomshadow": "shadow",
    "randomsizedbboxsafecrop": "bbox_safe_crop: {size: [640, 640]}",
    "randomsizedcrop": "random_resized_crop: {size: 640}",
    "randomsnow": "snow",
    "randomsolarize": "solarize",
    "randomsunflare": "sun_flare",
    "randomtonecurve": "tone_curve",
    "randomzoomout": "zoom_out: {p: 0.5}",
    "saltandpeppernoise": "salt_and_pepper",
    "saturation": "color_jitter: {saturation: 0.3}",
    "sequential": "all_of: [horizontal_flip, color_jitter]",
    "shiftscalerotate": "affine: {rotate: 45, scale: [0.9, 1.1], translate: 0.06}",
    "smallestmaxsize": "resize: {shortest: 640}",
    "squaresymmetry": "symmetry: {group: d4}",
    "superpixels": "downscale: {factor: [2, 4]}",
    "tosepia": "sepia",
    "unsharpmask": "sharpen: {amount: [0.2, 0.6]}",
    "vignetting": "vignette",
    "zoomblur": "motion_blur",
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
        "augmix",
        "autoaugment",
        "closemosaic",
        "copypaste",
        "cutmix",
        "gridshuffle",
        "mixup",
        "mosaic",
        "randaugment",
        "randomgridshuffle",
        "spatter",
        "trivialaugment",
        "trivialaugmentwide",
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
    "box_blur": dict.fromkeys(("blurlimit", "kernelsize", "ksize"), "size"),
    "center_crop": _SIZE,
    "clahe": {"cliplimit": "clip", "tilegridsize": "tiles"},
    "crop": dict.fromkeys(("box", "bbox"), "box_xyxy"),
    "downscale": {"scalerange": "factor", "scale": "factor", "interpolation": "up"},
    "fog": {"fogcoefrange": "strength", "alphacoef": "strength"},
    "gamma": {"gamma": "amount", "gammalimit": "amount"},
    "gaussian_blur": dict.fromkeys(("blurlimit", "kernelsize", "sigmalimit", "radius", "ksize"), "sigma"),
    "gaussian_noise": dict.fromkeys(("varlimit", "stdrange", "stdlimit", "var", "variance", "sigma", "scale"), "std"),
    "grid_dropout": {**_FILL, "unitsizerange": "unit", "holes": "unit"},
    "hsv": {"huelimit": "hue", "hueshiftlimit": "hue", "satshiftlimit": "saturation", "valshiftlimit": "value"},
    "iso_noise": {"intensity": "strength"},
    "jpeg": dict.fromkeys(("compression", "qualityrange", "qualitylower", "qualityupper", "qualitylimit"), "quality"),
    "letterbox": {**_SIZE, **_FILL, "scaleup": "enlarge"},
    "median_blur": dict.fromkeys(("blurlimit", "kernelsize", "ksize"), "size"),
    "motion_blur": {**dict.fromkeys(("blurlimit", "kernelsize", "ksize"), "length"), "anglerange": "angle"},
    "pad": {**_SIZE, **_FILL, "padding": "sides", "divisor": "multiple", "position": "place"},
    "perspective": {"distortion": "scale", "distortionscale": "scale"},
    "random_crop": {**_SIZE, **_SHAPES},
    "random_resized_crop": {**_SIZE, **_SHAPES, "area": "scale"},
    "resize": {**_SIZE, "maxsize": "longest", "minsize": "shortest"},
    "posterize": {"numbits": "bits"},
    "elastic": {"alpha": "strength", "sigma": "nodes", "magnitude": "strength"},
    "grid_distortion": {"numsteps": "steps", "distortlimit": "limit"},
    "optical_distortion": {"distortlimit": "k", "shiftlimit": "center"},
    "rain": {"slant": "angle", "slantrange": "angle", "droplength": "length", "dropwidth": "width"},
    "random_scale": {"scalelimit": "scale", "factor": "scale"},
    "rgb_shift": {"rshiftlimit": "red", "gshiftlimit": "green", "bshiftlimit": "blue"},
    "rotate": {**_ANGLE, "rotate": "degrees"},
    "rotate90": {"factor": "times", "k": "times", "n": "times"},
    "salt_and_pepper": {"saltvspepper": "salt"},
    "scale_jitter": {**_SIZE, **_FILL, "scalerange": "scale", "position": "place"},
    "sharpen": {"alpha": "amount", "strength": "amount"},
    "shadow": {"shadowintensityrange": "strength", "numshadowslimit": "count"},
    "solarize": {"thresholdrange": "threshold", "addition": "add"},
    "zoom_out": {**_FILL, "sidelength": "scale", "siderange": "scale"},
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
