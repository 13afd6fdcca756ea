"""The set loss as the papers write it, one query and one object at a time: slow, and without a shared line of code.

DETR, eq. 1 and 2 and appendix A.2; Conditional DETR's focal loss (Lin et al. 2017) and costs as facts about its code.
"""

import itertools
import math

WEIGHTS = {"focal": (2.0, 5.0, 2.0), "softmax": (1.0, 5.0, 2.0)}
ALPHA, GAMMA, BACKGROUND = 0.25, 2.0, 0.1


def corners(box):
    x, y, w, h = box
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def overlap_and_union(a, b):
    ax1, ay1, ax2, ay2 = corners(a)
    bx1, by1, bx2, by2 = corners(b)
    overlap = max(0.0, min(ax2, bx2) - max(ax1, bx1)) * max(0.0, min(ay2, by2) - max(ay1, by1))
    return overlap, (ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - overlap


def iou(a, b):
    overlap, union = overlap_and_union(a, b)
    return overlap / union


def giou(a, b):
    ax1, ay1, ax2, ay2 = corners(a)
    bx1, by1, bx2, by2 = corners(b)
    overlap, union = overlap_and_union(a, b)
    hull = (max(ax2, bx2) - min(ax1, bx1)) * (max(ay2, by2) - min(ay1, by1))
    return overlap / union - (hull - union) / hull


def l1(a, b):
    return sum(abs(p - q) for p, q in zip(a, b))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softmax(row):
    powers = [math.exp(x - max(row)) for x in row]
    return [power / sum(powers) for power in powers]


def focal(row, label):
    """The focal loss of a query's logits; without a label all of them are background."""
    total = 0.0
    for index, x in enumerate(row):
        p = sigmoid(x) if index == label else 1 - sigmoid(x)
        total -= (ALPHA if index == label else 1 - ALPHA) * (1 - p) ** GAMMA * math.log(p)
    return total


def class_cost(kind, row, label):
    if kind == "softmax":
        return -softmax(row)[label]
    p = sigmoid(row[label])
    yes = ALPHA * (1 - p) ** GAMMA * -math.log(p + 1e-8)
    return yes - (1 - ALPHA) * p**GAMMA * -math.log(1 - p + 1e-8)


def assign(kind, logits, boxes, labels, truth):
    """The cheapest assignment by trying all: pairs (query, object)."""
    weight = WEIGHTS[kind]

    def cost(query, thing):
        place = weight[1] * l1(boxes[query], truth[thing]) - weight[2] * giou(boxes[query], truth[thing])
        return weight[0] * class_cost(kind, logits[query], labels[thing]) + place

    table = [[cost(q, o) for o in range(len(labels))] for q in range(len(logits))]
    if len(labels) <= len(logits):
        ways = (
            [*zip(queries, range(len(labels)))] for queries in itertools.permutations(range(len(logits)), len(labels))
        )
    else:
        ways = (
            [*zip(range(len(logits)), things)] for things in itertools.permutations(range(len(labels)), len(logits))
        )
    return min(ways, key=lambda way: sum(table[q][o] for q, o in way))


def loss(kind, layers, targets):
    """Lists of (classes, l1, giou), one for each layer. `layers` is [layer][image] → (logits, boxes) as lists,
    `targets` [image] → (labels, boxes)."""
    objects = max(1, sum(len(labels) for labels, _ in targets))
    losses = []
    for images in layers:
        classes = weights = place = overlap = 0.0
        for (logits, boxes), (labels, truth) in zip(images, targets):
            pairs = dict(assign(kind, logits, boxes, labels, truth)) if labels else {}
            for query, row in enumerate(logits):
                thing = pairs.get(query)
                if kind == "softmax":
                    label, weight = (labels[thing], 1.0) if thing is not None else (len(row) - 1, BACKGROUND)
                    classes -= weight * math.log(softmax(row)[label])
                    weights += weight
                    continue
                classes += focal(row, labels[thing] if thing is not None else None)
            place += sum(l1(boxes[q], truth[o]) for q, o in pairs.items())
            overlap += sum(1 - giou(boxes[q], truth[o]) for q, o in pairs.items())
        losses.append((classes / (weights if kind == "softmax" else objects), place / objects, overlap / objects))
    return losses
