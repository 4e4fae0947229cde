"""Forward passes that fail, and outputs that cannot be trained."""

from __future__ import annotations

import pytest
import torch

from tests.faults.faulty import HEAD, check_sentence, load, net

X = torch.randn(5, 4)

BROKEN = {
    "returns nothing": ("self.a(x)", "returned None, and no tensor"),
    "returns a number": ("return 3", "returned a int, and no tensor"),
    "returns text": ("return 'logits'", "returned a str"),
    "returns an empty dict": ("return {}", "returned a dict, and no tensor"),
    "returns a generator": ("yield self.a(x)", "returned a generator"),
    "returns the model": ("return self", "returned a Net, and no tensor"),
    "returns integers": ("return self.a(x).argmax(-1)", "returned only int64 tensors"),
    "returns booleans": ("return self.a(x) > 0", "returned only bool tensors"),
    "returns no rows": ("return self.a(x)[:0]", r"empty tensor of shape \(0, 8\)"),
    "detaches": ("return self.a(x).detach()", "output is detached"),
    "no_grad": ("with torch.no_grad():\n            return self.a(x)", "output is detached"),
    "inference_mode": ("with torch.inference_mode():\n            return self.a(x)", "output is detached"),
    "goes through numpy": ("return torch.from_numpy(self.a(x).detach().numpy())", "output is detached"),
    "numpy of a graph tensor": ("return self.a(x).numpy()", r"RuntimeError: Can't call numpy\(\) on Tensor"),
    "ignores its parameters": ("return x * 2", "output is detached"),
    "raises": ("raise ValueError('no')", r"failed at .*model.py:\d+: ValueError: no\. "),
    "not implemented": ("raise NotImplementedError", "NotImplementedError"),
    "undefined layer": ("return self.c(x)", "AttributeError: 'Net' object has no attribute 'c'"),
    "wrong width": ("return self.b(self.a(x)[:, :5])", r"through b \(Linear\(in_features=8.*5x5 and 8x3"),
    "wrong type": ("return self.a(x.long())", r"through a \(Linear.*dtype"),
    "wrong rank": ("return F.conv2d(self.a(x), self.b.weight)", "conv2d"),
    "recursion": ("return self.forward(x)", r"model.py:\d+: RecursionError.*calls itself"),
    "terabytes": ("return self.b(self.a(x).expand(10**6, 10**6, 8).clone())", r"RuntimeError|IndexError|MemoryError"),
    "exits": ("raise SystemExit(1)", "SystemExit: 1"),
    "asserts": ("assert x.shape[0] == 1, 'one at a time'", "AssertionError: one at a time"),
    "missing key": ("return {}['logits']", "KeyError: 'logits'"),
    "asks for the GPU": ("return self.a(x.cuda())", "(CUDA|NVIDIA).*on the CPU|--input"),
    "spreads a tuple": ("a, b = x\nreturn a", "too many values to unpack"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_forward_gets_one_sentence(name, tmp_path):
    forward, says = BROKEN[name]
    check_sentence(net(forward=forward), says, tmp_path, inputs=X)


@pytest.mark.parametrize("name", ["returns nothing", "detaches", "raises", "returns integers", "recursion"])
def test_and_so_it_does_while_inputs_are_searched_for(name, tmp_path):
    forward, says = BROKEN[name]
    check_sentence(net(forward=forward), says, tmp_path)


SOUND = {
    "dictionary": "return {'features': self.a(x), 'logits': self.b(self.a(x))}",
    "tuple": "return self.b(self.a(x)), None, 'extra'",
    "nested": "return {'out': [{'scores': self.b(self.a(x))}]}",
    "one number": "return self.b(self.a(x)).pow(2).mean()",
    "complex": "return torch.fft.fft(self.b(self.a(x)))",
    "NaN": "return self.b(self.a(x)) * float('nan')",
    "infinite": "return self.b(self.a(x)) / 0",
    "random": "return self.b(F.dropout(self.a(x), 0.5))",
    "data-dependent": "return self.b(self.a(x)) if x.sum() > 0 else -self.b(self.a(x))",
    "prints": "print(x)\nreturn self.b(self.a(x))",
    "scalar per sample": "return self.b(self.a(x)).mean(-1)",
    "half precision": "return self.b(self.a(x)).half()",
    "autocast": "with torch.autocast('cpu', dtype=torch.bfloat16):\n            return self.b(self.a(x))",
    "inner gradient": "y = x.clone().requires_grad_()\nreturn torch.autograd.grad(self.b(self.a(y)).sum(), y, "
    "create_graph=True)[0]",
}


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("inputs", [X, None], ids=["given", "found"])
def test_an_unusual_but_sound_forward_loads(name, inputs, tmp_path):
    subject = load(net(forward=SOUND[name]), tmp_path, inputs=inputs)
    with torch.enable_grad():
        loss = subject.loss(subject.model(*subject.args, **subject.kwargs), subject.targets)
    assert loss.requires_grad and loss.numel() == 1


def test_a_batch_norm_that_gets_one_sample(tmp_path):
    text = net("self.n = nn.BatchNorm1d(8)", "return self.b(self.n(self.a(x)))")
    check_sentence(text, "through n .*more than 1 value per channel", tmp_path, inputs=torch.randn(1, 4))
    load(text, tmp_path, inputs=torch.randn(1, 4), training=False)


def test_inputs_that_a_model_writes_into_stay_as_they_were(tmp_path):
    x = torch.randn(5, 4)
    before = x.clone()
    load(net(forward="x.mul_(2)\nreturn self.b(self.a(x))"), tmp_path, inputs=x)
    assert torch.equal(x, before)


def test_a_model_that_runs_only_once(tmp_path):
    text = net("self.used = False", "assert not self.used, 'used up'\nself.used = True\nreturn self.b(self.a(x))")
    subject = load(text, tmp_path, inputs=X)
    assert not subject.model.used


def test_wrong_inputs_are_named_with_their_shapes(tmp_path):
    says = r"through a \(Linear\(in_features=4.*The inputs were x float32 \(5, 7\); change them with --input"
    check_sentence(net(), says, tmp_path, inputs=torch.randn(5, 7))
    check_sentence(net(), "missing 1 required positional argument", tmp_path, inputs=())
    check_sentence(net(), r"not dict\. The inputs were x {y: float32 \(5, 4\)}", tmp_path, inputs={"y": X})
    check_sentence(net(), r"not tuple\. The inputs were x \(float32 \(5, 4\), ", tmp_path, inputs=(X, X))
    check_sentence(net(), "through a", tmp_path, inputs="text")
    embedding = HEAD + "model = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7))\n"
    check_sentence(embedding, r"through 0 \(Embedding\(7, 4\)\).*Long, Int", tmp_path, inputs=X)
    check_sentence(embedding, r"through 0 \(Embedding\(7, 4\)\).*index out of range", tmp_path, inputs=X.long() + 9)


@pytest.mark.parametrize(
    ("specs", "says"),
    [
        (["8,x"], "is no shape"),
        (["8,-1"], "is no shape"),
        ([""], "is no shape"),
        (["8,4:float31"], "no dtype 'float31'"),
        (["8,5"], "through a"),
        (["8,4", "8,4"], "takes 2 positional arguments"),
        (["z=8,4"], "unexpected keyword argument 'z'"),
    ],
)
def test_bad_shapes_on_the_command_line(specs, says, tmp_path):
    check_sentence(net(), says, tmp_path, input_specs=specs)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [
        ("None", r"example_inputs\(\) returned None"),
        ("1/0", r"example_inputs\(\) failed at .*ZeroDivisionError"),
        ("torch.randn(3, 9)", "through a"),
        ("{'z': torch.randn(3, 4)}", r"not dict\. The inputs were x {z: float32 \(3, 4\)}"),
        ("torch.randn(3, 4), torch.full((3,), 7)", "labels run from 7 to 7, but the output has 3 classes"),
        ("torch.randn(3, 4), torch.ones(5).long()", r"do not fit the output of shape \(3, 3\)"),
        ("torch.randn(3, 4), torch.randn(3, 2)", "do not fit the output"),
        ("(torch.randn(3, 4),), ['cat', 'dog', 'cat']", "Targets of type list need a loss"),
    ],
)
def test_bad_example_inputs(inputs, says, tmp_path):
    check_sentence(net() + f"def example_inputs(): return {inputs}\n", says, tmp_path)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        ("return output", r"returned shape \(8, 3\), not one number"),
        ("return 1.0", "returned a float, not a scalar tensor"),
        ("return output.detach().mean()", "detached from the model's output"),
        ("return output.loss", "AttributeError.*called as loss"),
        ("return F.cross_entropy(output, targets)", "TypeError.*called as loss"),
    ],
)
def test_bad_losses(loss, says, tmp_path):
    check_sentence(net() + f"def loss(output, targets): {loss}\n", says, tmp_path)


def test_a_loss_with_a_gradient_penalty(tmp_path):
    loss = "def loss(output, targets):\n    return torch.autograd.grad(output.sum(), x, create_graph=True)[0].norm()\n"
    keeps = "global x\nx = x_.requires_grad_()\nreturn self.b(self.a(x).tanh())"
    subject = load(net(forward=keeps).replace("self, x)", "self, x_)") + loss, tmp_path)
    value = subject.loss(subject.model(*subject.args, **subject.kwargs), subject.targets)
    assert value.isfinite() and value.requires_grad


def test_a_loss_of_an_unknown_name(tmp_path):
    check_sentence(net(), "no loss 'hinge'; known: cross-entropy, mse", tmp_path, loss_name="hinge")
