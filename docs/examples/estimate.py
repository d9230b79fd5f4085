"""Estimate the cost of jobs before anything is sent. It needs no API key."""

from kling_async import Client, ImageInput, VideoInput

inputs = [ImageInput("a fox"), ImageInput("an owl"), ImageInput("a whale")]
client = Client()

images = client.estimate(inputs, provider="apiinone")
print("three images at API in One:", images)

video = VideoInput("a lighthouse", model="kling-3", extra={"mode": "pro"})
print("one video at API in One:", client.estimate([video], provider="apiinone"))

elsewhere = client.estimate(inputs, provider="gptproto")
print("three images at GPTProto:", elsewhere)
print("is that all known?", elsewhere.known)
