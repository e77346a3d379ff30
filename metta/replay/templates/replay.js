// Unpacks the recording that the page holds and shows it.
(async () => {
  const message = document.getElementById("message");
  try {
    const [head, arrays] = await unpack(document.getElementById("data").textContent.trim());
    watch(head, arrays, null);
    message.hidden = true;
  } catch (error) {
    message.textContent = "The recording cannot be shown: " + error.message;
  }

  async function unpack(text) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    let at = 4 + length;
    const found = {};
    for (const [name, type, shape] of header.arrays) {
      const count = shape.reduce((a, b) => a * b, 1);
      const kind = type === "float32" ? Float32Array : Uint8Array;
      found[name] = {data: new kind(buffer, at, count), shape};
      at += count * kind.BYTES_PER_ELEMENT;
    }
    return [header, found];
  }
})();
