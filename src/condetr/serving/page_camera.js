// Frames of a camera, one at a time: the next one is taken when the server has returned the detections of the last.
const LONGEST = 1280;
const REASONS = {
  NotAllowedError: "The camera was not permitted.",
  NotFoundError: "No camera was found.",
  NotReadableError: "The camera is in use by another program.",
};

export class Camera {
  #stream = null;
  #video = make("video", { playsinline: true });
  #canvas = make("canvas");

  get on() {
    return this.#stream !== null;
  }

  // Rejects with an error whose message is for the user.
  async start() {
    if (!navigator.mediaDevices)
      throw new Error("The browser allows the camera on pages of this machine or over HTTPS only.");
    try {
      const video = { facingMode: "environment", width: { ideal: LONGEST } };
      this.#stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
    } catch (error) {
      throw new Error(REASONS[error.name] ?? `The camera could not be opened (${error.name}).`);
    }
    this.#video.muted = true;
    this.#video.srcObject = this.#stream;
    await this.#video.play();
  }

  stop() {
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = this.#video.srcObject = null;
  }

  // The present frame as a JPEG file; null once the camera has stopped. It waits while the page is not visible.
  async frame() {
    await new Promise(requestAnimationFrame);
    const { videoWidth: width, videoHeight: height } = this.#video;
    if (!this.on || this.#stream.getVideoTracks()[0].readyState === "ended") return null;
    const scale = Math.min(1, LONGEST / Math.max(width, height, 1));
    this.#canvas.width = Math.max(1, Math.round(width * scale));
    this.#canvas.height = Math.max(1, Math.round(height * scale));
    this.#canvas.getContext("2d").drawImage(this.#video, 0, 0, this.#canvas.width, this.#canvas.height);
    return new Promise(done => this.#canvas.toBlob(done, "image/jpeg", 0.9));
  }
}
