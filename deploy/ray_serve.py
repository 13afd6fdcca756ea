from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

import condetr


@serve.deployment(num_replicas=2, ray_actor_options={"num_cpus": 1}, max_ongoing_requests=32)
class Detector:
    def __init__(self, weights: str) -> None:
        self.predictor = condetr.Predictor.load(weights)

    @serve.batch(max_batch_size=8, batch_wait_timeout_s=0.005)
    async def detect(self, images: list[bytes]) -> list[condetr.Detections | condetr.CondetrError]:
        return [found for _, found in self.predictor.stream(images, batch=8)]

    async def __call__(self, request: Request) -> JSONResponse:
        found = await self.detect(await request.body())
        if isinstance(found, condetr.Detections):
            return JSONResponse(found.to_dict())
        return JSONResponse({"error": str(found)}, status_code=422)


app = Detector.bind("runs/birds")
