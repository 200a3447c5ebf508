"""Pascal VOC: an XML file a picture, and masks as palette PNGs."""
