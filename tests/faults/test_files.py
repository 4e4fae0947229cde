"""Files that are no Python, or hold no model that can be meant."""

from __future__ import annotations

import pytest

from tests.faults.faulty import HEAD, check_sentence, load, net

BROKEN: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "defines no nn.Module"),
    "comments only": ("# nothing\n", "defines no nn.Module"),
    "syntax error": ("class Net(:\n", r"model.py:1: SyntaxError"),
    "unclosed bracket": ("x = (1,\n", r"model.py:1: SyntaxError: '\(' was never closed"),
    "mixed tabs": ("if True:\n\tx = 1\n        y = 2\n", r"model.py:3: TabError"),
    "bad indent": ("def f():\nreturn 1\n", r"model.py:2: IndentationError"),
    "python 2": ("print 'hello'\n", r"model.py:1: SyntaxError"),
    "nul bytes": (b"x = 1\0\n", "(is not Python source text|SyntaxError).*null byte"),
    "not utf-8": (b"x = '\xff\xfe\xfa'\n", "is not Python source text: invalid or missing encoding declaration"),
    "utf-16": ("x = 1\n".encode("utf-16"), "is not Python source text"),
    "unknown coding": (b"# -*- coding: klingon -*-\n", "is not Python source text: unknown encoding"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not Python source text"),
    "deeply nested": ("(" * 1000 + ")" * 1000, "(is not Python source text|SyntaxError)"),
    "functions only": ("def f(x): return x\n", "defines no nn.Module"),
    "imported classes only": ("from torch.nn import Linear\n", "or name one that it imports, as in .*model.py:Name"),
    "two roots": (net() + "class Other(nn.Linear):\n    def __init__(self): super().__init__(1, 1)\n", "choose one"),
    "two instances": (HEAD + "a, b = nn.Linear(1, 1), nn.Linear(2, 2)\n", "2 models, a and b; choose one"),
    "abstract": (
        HEAD + "import abc\nclass Net(nn.Module, abc.ABC):\n"
        "    @abc.abstractmethod\n    def head(self): ...\n    def forward(self, x): return x\n",
        "defines no nn.Module",
    ),
    "no forward": (HEAD + "class Net(nn.Module):\n    pass\n", r"defines no nn.Module with a forward\(\)"),
    "needs arguments": (
        HEAD + "class Net(nn.Module):\n    def __init__(self, width, *, depth): pass\n    def forward(self, x): pass\n",
        r"Net needs width and depth.*model.py:Net\(width=\.\.\., depth=\.\.\.\)",
    ),
    "make_model needs arguments": (HEAD + "def make_model(size): return nn.Linear(size, 1)\n", "make_model needs size"),
    "make_model is None": (HEAD + "def make_model(): pass\n", "make_model returned a NoneType, not a torch.nn.Module"),
    "make_model gives a class": (net() + "def make_model(): return Net\n", "returned a type, not"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_gets_one_sentence(name, tmp_path):
    check_sentence(*BROKEN[name], tmp_path)


SOUND: dict[str, str | bytes] = {
    "byte-order mark": b"\xef\xbb\xbf" + net().encode(),
    "latin-1": b"# -*- coding: latin-1 -*-\n# \xe9\n" + net().encode(),
    "windows line ends": net().replace("\n", "\r\n").encode(),
    "no last newline": net().rstrip(),
    "unicode names": net().replace("Net", "Néttö"),
    "main guard": net() + "if __name__ == '__main__':\n    raise SystemExit('not me')\n",
    "future import": "from __future__ import annotations\n" + net(),
    "configuration of another name": HEAD + "from dataclasses import dataclass\n@dataclass\nclass ModelArgs:\n"
    "    width: int = 4\nclass Net(nn.Module):\n    def __init__(self, model_args):\n        super().__init__()\n"
    "        self.a = nn.Linear(model_args.width, 3)\n    def forward(self, x): return self.a(x)\n",
    "configuration class": HEAD + "from dataclasses import dataclass\n@dataclass\nclass Config:\n    width: int = 4\n"
    "class Net(nn.Module):\n    def __init__(self, config):\n        super().__init__()\n"
    "        self.a = nn.Linear(config.width, 3)\n    def forward(self, x): return self.a(x)\n",
    "base and derived": net() + "class Deeper(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.net = Net()\n    def forward(self, x): return self.net(x)\n",
    "parts made by a function": HEAD + "class Part(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
    "        self.a = nn.Linear(4, 4)\n    def forward(self, x): return self.a(x)\n"
    "def stack(n): return nn.Sequential(*[Part() for _ in range(n)])\n"
    "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.parts = stack(3)\n"
    "    def forward(self, x): return self.parts(x)\n",
}


@pytest.mark.parametrize("name", SOUND)
def test_an_unusual_but_sound_file_loads(name, tmp_path):
    assert load(SOUND[name], tmp_path).info.inputs.endswith("float32 (8, 4)")


def test_a_file_with_relative_imports_is_part_of_its_package(tmp_path):
    package = tmp_path / "pkg" / "inner"
    package.mkdir(parents=True)
    for folder in (package, package.parent):
        (folder / "__init__.py").touch()
    (package.parent / "parts.py").write_text(HEAD + "class Part(nn.Linear):\n    pass\n")
    (package / "sizes.py").write_text("WIDTH = 4\n")
    text = (
        HEAD + "from ..parts import Part\nfrom .sizes import WIDTH\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.a = Part(WIDTH, 3)\n    def forward(self, x): return self.a(x)\n"
    )
    assert load(text, package).info.target.endswith("model.py:Net")


def test_a_folder_a_missing_file_and_an_unreadable_one(tmp_path):
    from gradscope.load import subject
    from gradscope.schema import GradscopeError

    for target, says in ((tmp_path, "is a folder"), (tmp_path / "no.py", "no such file")):
        with pytest.raises(GradscopeError, match=says):
            subject(str(target))
    (tmp_path / "loop.py").symlink_to(tmp_path / "loop.py")
    with pytest.raises(GradscopeError, match="no such file"):
        subject(str(tmp_path / "loop.py"))
