from ray import serve
from starlette.requests import Request

import condetr


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=32)
class Detector:
    def __init__(self, weights: str) -> None:
        self.predictor = condetr.Predictor.load(weights)

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.005)
    async def detect(self, images: list[bytes]) -> list[dict | str]:
        found = self.predictor.stream(images, batch=8)
        return [one.to_dict() if isinstance(one, condetr.Detections) else str(one) for _, one in found]

    async def __call__(self, request: Request) -> dict | str:
        return await self.detect(await request.body())


app = Detector.bind("runs/birds")
