// Messages on a stream, for the peer that is a bare socket: length, number and JSON, one write for each message.
const HEADER = 8;

function writeFrame(socket, number, value) {
  const text = JSON.stringify(value);
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(HEADER + length);
  frame.writeUInt32LE(length, 0);
  frame.writeUInt32LE(number, 4);
  frame.utf8Write(text, HEADER, length);
  socket.write(frame);
}

/** Calls `onFrame(number, value)` for each frame. Pieces of a long one are joined once, when all of it is there. */
function readFrames(socket, onFrame) {
  let pieces = [];
  let held = 0;
  let wanted = HEADER;
  socket.on('data', piece => {
    pieces.push(piece);
    held += piece.length;
    if (held < wanted) {
      return;
    }
    const bytes = pieces.length === 1 ? piece : Buffer.concat(pieces, held);
    let at = 0;
    wanted = HEADER;
    while (bytes.length - at >= HEADER) {
      const end = at + HEADER + bytes.readUInt32LE(at);
      if (end > bytes.length) {
        wanted = end - at;
        break;
      }
      onFrame(bytes.readUInt32LE(at + 4), JSON.parse(bytes.utf8Slice(at + HEADER, end)));
      at = end;
    }
    pieces = at < bytes.length ? [bytes.subarray(at)] : [];
    held = bytes.length - at;
  });
}

module.exports = { writeFrame, readFrames };
