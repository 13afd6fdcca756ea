// Which detections are shown, and why a point has none. Pure functions of plain values.
export const LOWEST = 0.01;  // the threshold that the server is asked for: all others are applied here
export const MOST = 300;

// Characters that are not shown as they are: control characters, and those that reorder other text.
export const visible = text => String(text).replace(
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/gu, "\ufffd");

// `filter`: { threshold: a number, or null for each class's own; hidden: a Set of category ids }
export const thresholdOf = (model, filter, id) =>
  filter.threshold ?? model.classes.find(one => one.category_id === id)?.threshold ?? 0.5;

export const lowestOf = model => Math.min(LOWEST, ...model.classes.map(one => one.threshold));

export const kept = (detections, model, filter) => {
  const least = new Map(model.classes.map(one => [one.category_id, filter.threshold ?? one.threshold]));
  return detections.map((one, number) => ({ ...one, number }))
    .filter(one => one.score >= least.get(one.category_id) && !filter.hidden.has(one.category_id));
};

// The detection at a point; of several, the smallest.
export const hit = (detections, x, y) => {
  const area = ({ box: [x1, y1, x2, y2] }) => (x2 - x1) * (y2 - y1);
  return detections.filter(({ box: [x1, y1, x2, y2] }) => x1 <= x && x <= x2 && y1 <= y && y <= y2)
    .sort((a, b) => area(a) - area(b))[0];
};

const distance = ({ box: [x1, y1, x2, y2] }, [x, y]) => Math.hypot(Math.max(x1 - x, x - x2, 0), Math.max(y1 - y, y - y2, 0));

// How a query near a point relates to it, and to the filter.
export const relation = (one, model, filter, at) => {
  const least = thresholdOf(model, filter, one.category_id), passes = one.score >= least;
  return {
    where: one.covers ? "contains the point" : `${Math.max(1, Math.round(distance(one, at)))} px away`,
    status: !passes ? `below the threshold ${least.toFixed(2)}`
      : filter.hidden.has(one.category_id) ? "class switched off"
      : one.suppressed ? "overlaps a better one" : "a detection",
  };
};

// Why there is no detection at a point, in a sentence or two. `nearest` is not empty.
export const reason = (nearest, model, filter, at) => {
  const best = nearest[0], { where, status } = relation(best, model, filter, at);
  const predicts = `predicts ${visible(best.category)} with a score of ${best.score.toFixed(2)}`;
  const least = thresholdOf(model, filter, best.category_id).toFixed(2);
  const but = {
    "a detection": "", "class switched off": ". Its class is switched off",
    "overlaps a better one": ", but it overlaps a better detection of the class",
  }[status]
    ?? `, which is below the threshold ${least}`;
  if (!best.covers) return `No query's box contains this point. The nearest one, ${where}, ${predicts}${but}.`;
  const which = nearest[1]?.covers ? "Of the queries whose box contains this point, the best one"
    : "The only query whose box contains this point";
  return `${which} ${predicts}${but}.`;
};
