/** Makers of document files for the tests: zip archives, Word documents, PDFs. Whole files, byte by byte. */

import { crc32, deflateRawSync } from 'node:zlib';

const u16 = (...values) => Buffer.from(values.flatMap((value) => [value & 255, (value >> 8) & 255]));
const u32 = (value) => Buffer.from([value, value >>> 8, value >>> 16, value >>> 24].map((byte) => byte & 255));

/**
 * A zip archive.
 * @param {Record<string, string|Buffer>} files
 * @param {{store?: boolean, flags?: number, sizes?: Record<string, number>}} [options] `sizes`: what the directory claims, if not the truth
 */
export function zip(files, { store = false, flags = 0, sizes = {} } = {}) {
  const [locals, directory] = [[], []];
  let offset = 0;
  for (const [name, content] of Object.entries(files)) {
    const bytes = Buffer.from(content);
    const packed = store ? bytes : deflateRawSync(bytes);
    const path = Buffer.from(name);
    const common = Buffer.concat([
      u16(flags | 0x800, store ? 0 : 8, 0, 0), u32(crc32(bytes)), u32(packed.length), u32(sizes[name] ?? bytes.length), u16(path.length, 0),
    ]);
    locals.push(u32(0x04034b50), u16(20), common, path, packed);
    directory.push(u32(0x02014b50), u16(20, 20), common, u16(0, 0, 0), u32(0), u32(offset), path);
    offset += 30 + path.length + packed.length;
  }
  const central = Buffer.concat(directory);
  const count = Object.keys(files).length;
  return Buffer.concat([...locals, central, u32(0x06054b50), u16(0, 0, count, count), u32(central.length), u32(offset), u16(0)]);
}

const W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';

/** A paragraph of a Word document. @param {string} text @param {string} [style] */
export const paragraph = (text, style) =>
  `<w:p>${style ? `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>` : ''}<w:r><w:t xml:space="preserve">${text}</w:t></w:r></w:p>`;

/** A Word document. @param {string} body @param {Record<string, string|Buffer>} [more] @param {object} [options] those of zip */
export function docx(body, more = {}, options) {
  return zip({
    '[Content_Types].xml': '<?xml version="1.0"?><Types/>',
    'word/styles.xml':
      `<w:styles ${W}><w:style w:styleId="1"><w:name w:val="heading 1"/></w:style><w:style w:styleId="2"><w:name w:val="heading 2"/></w:style>` +
      '<w:style w:styleId="a"><w:name w:val="Normal"/></w:style></w:styles>',
    'word/document.xml': `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><w:document ${W}><w:body>${body}</w:body></w:document>`,
    ...more,
  }, options);
}

/** A PDF out of objects. @param {string[]} objects numbered from 1; the first is the catalogue @param {string} [trailer] */
export function pdfFile(objects, trailer = '') {
  let text = '%PDF-1.7\n';
  const offsets = objects.map((object, at) => {
    const offset = text.length;
    text += `${at + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const table = offsets.map((offset) => `${String(offset).padStart(10, '0')} 00000 n \n`).join('');
  const size = objects.length + 1;
  return Buffer.from(
    `${text}xref\n0 ${size}\n0000000000 65535 f \n${table}trailer\n<< /Size ${size} /Root 1 0 R ${trailer}>>\nstartxref\n${text.length}\n%%EOF\n`,
    'latin1',
  );
}

const stream = (content) => `<< /Length ${content.length} >>\nstream\n${content}\nendstream`;

/**
 * A PDF whose pages hold words at places; a font without glyphs that says which letters its codes mean.
 * @param {[number, number, string][][]} pages of [x, y, word], each word in the order of its glyphs on the page, left to right
 */
export function pdf(pages, trailer) {
  const letters = [...new Set(pages.flat().flatMap(([, , word]) => [...word]))];
  const hex = (value) => value.toString(16).padStart(4, '0');
  const unicode = (letter) => [...Array(letter.length).keys()].map((at) => hex(letter.charCodeAt(at))).join('');
  const map = letters.map((letter, at) => `<${hex(at + 1)}> <${unicode(letter)}>`).join('\n');
  const cmap = `/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def
1 begincodespacerange <0000> <ffff> endcodespacerange ${letters.length} beginbfchar\n${map}\nendbfchar endcmap end end`;
  const code = (word) => [...word].map((letter) => hex(letters.indexOf(letter) + 1)).join('');
  const content = (words) => words.map(([x, y, word]) => `BT /F1 12 Tf 1 0 0 1 ${x} ${y} Tm <${code(word)}> Tj ET`).join('\n');
  const first = 7;
  const ids = pages.map((_, at) => first + 2 * at);
  return pdfFile([
    '<< /Type /Catalog /Pages 2 0 R >>',
    `<< /Type /Pages /Count ${pages.length} /Kids [${ids.map((id) => `${id} 0 R`).join(' ')}] >>`,
    '<< /Type /Font /Subtype /Type0 /BaseFont /Test /Encoding /Identity-H /DescendantFonts [4 0 R] /ToUnicode 6 0 R >>',
    '<< /Type /Font /Subtype /CIDFontType2 /BaseFont /Test /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor 5 0 R /DW 500 >>',
    '<< /Type /FontDescriptor /FontName /Test /Flags 4 /FontBBox [0 0 500 700] /ItalicAngle 0 /Ascent 700 /Descent 0 /CapHeight 700 /StemV 80 >>',
    stream(cmap),
    ...pages.flatMap((words, at) => [
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Resources << /Font << /F1 3 0 R >> >> /Contents ${ids[at] + 1} 0 R >>`,
      stream(content(words)),
    ]),
  ], trailer);
}
