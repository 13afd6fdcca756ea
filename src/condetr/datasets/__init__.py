"""Data sets in the formats of the field, read into one form, with every defect that was found while reading.

`open` recognises the format; `coco`, `yolo`, `voc` and `imagefolder` read it into a `RawDataSet` (`raw`). `examining`
checks the images and makes a `DataSet` (`dataset`) of those that can be used.
"""
