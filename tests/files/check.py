"""Opens Kiln's files with the tools that they are for, and compares with what Kiln itself computed.

    check.py model <folder>       model.safetensors, model.onnx, images.u8, logits.f32 (Kiln's own), tensors.json
    check.py metrics <folder>     metrics.csv, events.out.tfevents.*, metrics.json (what Kiln measured)
    check.py scalars <folder>     how many values of each tag the event file there has, as JSON
    check.py predict <file> <image.u8>    probabilities of one image, as JSON; .safetensors or .onnx

Prints what it measured, a line each; what does not agree ends it with a word.
"""

import csv
import json
import pathlib
import sys

import numpy as np

LOGITS = 1e-3  # the largest difference of a logit
READINGS = 2  # images of 10,000 that may be read otherwise: ties, rounded to either side


def network(file):
    """A safetensors file: its tensors, and the network in its metadata."""
    from safetensors import safe_open

    with safe_open(file, framework="np") as opened:
        metadata = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}
    assert metadata["format"] == "pt", metadata
    return json.loads(metadata["kiln.network"]), json.loads(metadata["kiln.classes"]), tensors


def forward(config, tensors, images):
    """The network in plain numpy, with the tensors as PyTorch's layers would take them."""
    x = images
    for number, conv in enumerate(config["convolutions"], 1):
        weight, bias = tensors[f"conv{number}.weight"], tensors[f"conv{number}.bias"]
        if conv["padding"] == "same":
            pad = conv["kernel"] // 2
            x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(2, 3))
        x = np.tensordot(windows, weight, axes=((1, 4, 5), (1, 2, 3))).transpose(0, 3, 1, 2)
        x = np.maximum(x + bias[:, None, None], 0)
        if conv["pool"]:
            height, width = x.shape[2] // 2, x.shape[3] // 2
            x = x[:, :, : 2 * height, : 2 * width]
            x = x.reshape(*x.shape[:2], height, 2, width, 2).max(axis=(3, 5))
        if config["batch_norm"]:
            part = lambda name: tensors[f"norm{number}.{name}"][:, None, None]
            x = (x - part("running_mean")) / np.sqrt(part("running_var") + 1e-5) * part("weight") + part("bias")
    x = x.reshape(len(x), -1)
    layers = len(config["dense"]) + 1
    for number in range(1, layers + 1):
        x = x @ tensors[f"dense{number}.weight"].T + tensors[f"dense{number}.bias"]
        if number < layers:
            x = np.maximum(x, 0)
    return x


def session(file):
    import onnx
    import onnxruntime

    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version >= 17, model.opset_import
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param == "batch", batch
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    opened = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    assert [i.name for i in opened.get_inputs()] == ["image"], "the input"
    assert [o.name for o in opened.get_outputs()] == ["logits"], "the output"
    return opened


def pixels(file):
    return np.fromfile(file, np.uint8).reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(255)


def in_batches(run, images, size=250):
    return np.concatenate([run(images[at : at + size]) for at in range(0, len(images), size)])


def agree(what, found, expected):
    assert found.shape == expected.shape, f"{what}: shape {found.shape}, expected {expected.shape}"
    difference = float(np.abs(found - expected).max())
    readings = int((found.argmax(1) != expected.argmax(1)).sum())
    print(f"{what}: logits differ by {difference:.2e} at most, {readings} of {len(found)} images are read otherwise")
    assert difference <= LOGITS, f"{what}: a logit differs by {difference}"
    assert readings <= READINGS, f"{what}: {readings} images are read otherwise"


def model(folder):
    images = pixels(folder / "images.u8")
    expected = np.fromfile(folder / "logits.f32", np.float32).reshape(len(images), -1)
    config, classes, tensors = network(folder / "model.safetensors")
    shapes = json.loads((folder / "tensors.json").read_text())
    assert {name: list(tensor.shape) for name, tensor in tensors.items()} == shapes, "names and shapes"
    assert len(classes) == expected.shape[1], classes
    agree("safetensors, numpy", in_batches(lambda part: forward(config, tensors, part), images), expected)
    opened = session(folder / "model.onnx")
    run = lambda part: opened.run(["logits"], {"image": part})[0]
    agree("ONNX, onnxruntime", in_batches(run, images), expected)
    for size in (1, 7):
        agree(f"ONNX, batches of {size}", in_batches(run, images[:70], size), expected[:70])


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def scalars(folder):
    print(json.dumps({tag: len(values) for tag, values in events(folder).items()}))


def metrics(folder):
    expected = json.loads((folder / "metrics.json").read_text())
    found = events(folder)
    # Both are f32; JSON has them as the nearest double.
    rounded = {tag: [[step, float(np.float32(value))] for step, value in values] for tag, values in expected.items()}
    assert found == rounded, f"TensorBoard: {found} instead of {rounded}"
    print(f"TensorBoard: {sum(map(len, found.values()))} values of {len(found)} tags")

    columns = {
        "loss/training": "training_loss",
        "accuracy/training": "training_accuracy",
        "loss/validation": "validation_loss",
        "accuracy/validation": "validation_accuracy",
        "loss/test": "test_loss",
        "accuracy/test": "test_accuracy",
    }
    with open(folder / "metrics.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for tag, column in columns.items():
        found = [[int(line["step"]), float(np.float32(line[column]))] for line in lines if line[column] != ""]
        assert found == rounded.get(tag, []), f"CSV, {column}: {found} instead of {rounded.get(tag)}"
    print(f"CSV: {len(lines)} lines")


def predict(file, image):
    image = pixels(image)
    if file.suffix == ".onnx":
        logits = session(file).run(["logits"], {"image": image})[0][0]
    else:
        config, _, tensors = network(file)
        logits = forward(config, tensors, image)[0]
    powers = np.exp(logits - logits.max())
    print(json.dumps([float(p) for p in powers / powers.sum()]))


if __name__ == "__main__":
    what, *paths = sys.argv[1:]
    {"model": model, "metrics": metrics, "scalars": scalars, "predict": predict}[what](*map(pathlib.Path, paths))
