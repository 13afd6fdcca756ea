// Images as the page holds them: the file, a bitmap of moderate size, and what the server has returned.
import { visible } from "./page_filter.js";

const LONGEST = 1600;  // pixels of a bitmap: twelve megapixels each would fill a phone's memory
const THUMBNAIL = 144;

const within = async (bitmap, longest) => {
  const scale = longest / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) return bitmap;
  const size = side => Math.max(1, Math.round(side * scale));
  const small = await createImageBitmap(bitmap,
    { resizeWidth: size(bitmap.width), resizeHeight: size(bitmap.height), resizeQuality: "high" });
  bitmap.close();
  return small;
};

// `width` and `height` are those of the upright image, to which boxes refer.
export class ShownImage {
  constructor(file, name) {
    this.file = file;
    this.name = visible(name);
    this.results = new Map();  // of predictions, by the name of the model
  }

  // Rejects for a file that this browser cannot show.
  async open() {
    const bitmap = await createImageBitmap(this.file);
    [this.width, this.height] = [bitmap.width, bitmap.height];
    this.bitmap = await within(bitmap, LONGEST);
  }

  get grey() {
    return this.shades ??= greyOf(this.bitmap);
  }

  // What `paint` needs: in grey under a map, whose grid is given.
  drawn(grid = null) {
    const { width, height, bitmap } = this;
    return { width, height, bitmap, grey: grid && this.grey, rows: grid?.rows, columns: grid?.columns,
      region: grid?.region };
  }

  thumbnail() {
    const scale = Math.max(THUMBNAIL / this.bitmap.width, THUMBNAIL / this.bitmap.height);
    const canvas = make("canvas", { width: THUMBNAIL, height: THUMBNAIL });
    const [w, h] = [this.bitmap.width * scale, this.bitmap.height * scale];
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(this.bitmap, (THUMBNAIL - w) / 2, (THUMBNAIL - h) / 2, w, h);
    return canvas;
  }

  close() {
    this.bitmap?.close();
    this.shades = null;
  }
}
