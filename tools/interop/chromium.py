"""A headless Chromium driven through its DevTools pipe, with nothing but the standard library.

Unlike `--dump-dom`, this waits for what a page shows instead of for a virtual clock, sees into frames of other
processes, and can pose as a phone.
"""

import base64
import itertools
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
         "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"]
ANSWER_TIMEOUT_S = 60


def program():
    """The browser that there is; None without one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    """One browser with one page; a context manager."""

    def __enter__(self):
        if program() is None:
            sys.exit("there is no Chromium; on Debian: apt-get install chromium")
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self.commands = os.pipe()
        self.answers, answers = os.pipe()

        # Chromium reads commands from descriptor 3 and writes answers to 4. First out of their way, then there.
        def descriptors():
            high = os.dup2(commands, 100), os.dup2(answers, 101)
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [program(), *FLAGS, f"--user-data-dir={self.profile.name}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=descriptors, close_fds=False,
        )
        os.close(commands)
        os.close(answers)
        self.ids, self.buffer, self.frames = itertools.count(1), b"", []
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self.page = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        attach = {"autoAttach": True, "waitForDebuggerOnStart": False, "flatten": True}
        self.call("Target.setAutoAttach", attach, self.page)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        self.profile.cleanup()

    def call(self, method, params=None, session=None):
        """Sends a command and gives its result; an error of the browser ends the script."""
        number = next(self.ids)
        message = {"id": number, "method": method, "params": params or {}}
        if session is not None:
            message["sessionId"] = session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            if answer.get("method") == "Target.attachedToTarget" and answer["params"]["targetInfo"]["type"] == "iframe":
                self.frames.append(answer["params"]["sessionId"])
            elif answer.get("method") == "Target.detachedFromTarget":
                gone = answer["params"]["sessionId"]
                self.frames = [frame for frame in self.frames if frame != gone]

    def receive(self, deadline):
        while b"\0" not in self.buffer:
            ready, _, _ = select.select([self.answers], [], [], max(0, deadline - time.monotonic()))
            read = os.read(self.answers, 1 << 16) if ready else b""
            if not read:
                sys.exit(f"Chromium did not answer within {ANSWER_TIMEOUT_S} s" if not ready else "Chromium has ended")
            self.buffer += read
        answer, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(answer)

    def open(self, url, width, height, dark=False):
        """Goes to an address in a window of that size; below 600 pixels, as a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", size, self.page)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", {"features": [scheme]}, self.page)
        # A page of its own, where a mere change of the part after # would only move the one that is open.
        self.call("Page.navigate", {"url": "about:blank"}, self.page)
        self.call("Page.navigate", {"url": url}, self.page)

    def evaluate(self, expression, session=None):
        answer = self.call("Runtime.evaluate", {"expression": expression, "returnByValue": True}, session or self.page)
        return answer["result"].get("value")

    def texts(self):
        """What is written on the page now, and in each frame of it."""
        texts = [self.evaluate("document.documentElement.innerText") or ""]
        for frame in list(self.frames):
            try:
                texts.append(self.evaluate("document.documentElement.innerText", frame) or "")
            except RuntimeError:
                continue  # The frame went away meanwhile.
        return texts

    def click(self, text):
        """Clicks the innermost element with just this text."""
        found = f"[...document.querySelectorAll('*')].filter(one => one.textContent.trim() === {json.dumps(text)})"
        self.evaluate(f"{found}.pop()?.click()")

    def screenshot(self, path):
        answer = self.call("Page.captureScreenshot", {"format": "png"}, self.page)
        pathlib.Path(path).write_bytes(base64.b64decode(answer["data"]))
