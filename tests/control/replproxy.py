# SPDX-License-Identifier: BSD-3-Clause
"""A TCP proxy that harms what goes through it."""

import asyncio


class Link:
    def __init__(self, name, target, rng):
        self.name, self.target, self.rng = name, target, rng
        self.conns, self.port = set(), 0
        self.open = asyncio.Event()
        self.open.set()
        self.delay = 0.0
        self.flip_next = self.cut_after = None  # flip: at the next data; cut_after: so many bytes more, then the end
        self.refuse = False
        self.bytes = 0
        self.flips = 0

    async def start(self):
        self.server = await asyncio.start_server(self.accept, "127.0.0.1", 0, limit=1 << 16)
        self.port = self.server.sockets[0].getsockname()[1]

    async def stop(self):
        self.server.close()
        self.cut()

    def cut(self):
        for w in list(self.conns):
            w.transport.abort()
        self.conns.clear()

    def heal(self):
        self.open.set()
        self.delay, self.flip_next, self.cut_after, self.refuse = 0.0, None, None, False

    async def accept(self, reader, writer):
        if self.refuse:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target, limit=1 << 16)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, back}
        self.conns |= both
        await asyncio.gather(self.pump(reader, back, both), self.pump(there, writer, both))
        self.conns -= both

    def harm(self, data):
        """@return (data, whether the connection ends after it)"""
        if self.flip_next:
            self.flip_next, self.flips = None, self.flips + 1
            at = self.rng.randrange(len(data))
            data = data[:at] + bytes([data[at] ^ 1 << self.rng.randrange(8)]) + data[at + 1:]
        if self.cut_after is not None:
            if len(data) > self.cut_after:
                data, self.cut_after = data[:self.cut_after], None
                return data, True
            self.cut_after -= len(data)
        return data, False

    async def pump(self, reader, writer, both):
        try:
            while True:
                await self.open.wait()
                data = await reader.read(1 << 14)
                if not data:
                    break
                await self.open.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                self.bytes += len(data)
                data, end = self.harm(data)
                writer.write(data)
                await writer.drain()
                if end:
                    break
        except (OSError, asyncio.CancelledError):
            pass
        for w in both:
            w.close()


class LinkFaults:
    """What may happen to the links of a test that has `rng` and `links` (name -> Link)."""

    def any_link(self):
        return self.rng.choice(list(self.links.values()))

    async def f_cut(self):
        self.any_link().cut()

    async def f_truncate(self):
        self.any_link().cut_after = self.rng.randrange(1, 20000)

    async def f_flip(self):
        self.any_link().flip_next = True

    async def f_stall(self):
        link = self.any_link()
        link.open.clear()
        await asyncio.sleep(self.rng.uniform(0.2, 2.0))
        link.open.set()

    async def f_delay(self):
        self.any_link().delay = self.rng.choice([0.0, 0.0, 0.01, 0.1])

    async def f_refuse(self):
        link = self.any_link()
        link.refuse = True
        link.cut()
        await asyncio.sleep(self.rng.uniform(0.2, 1.5))
        link.refuse = False
