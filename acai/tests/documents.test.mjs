/** Documents: every format read, and every hostile or broken file refused with its own key. */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';

import { pageLines } from '../services/documents/lines.js';
import { DocumentError, LIMITS, read } from '../services/documents/read.js';
import { unescape, walk } from '../services/documents/xml.js';
import { docx, paragraph, pdf, pdfFile, zip } from './files.mjs';

const PDFJS = existsSync(new URL('../vendor/pdf.js', import.meta.url)) ? {} : { skip: 'needs acai/vendor: make acai' };
// pdf.js is made for browsers and newer nodes
Promise.withResolvers ??= () => {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const TEXT = 'يفتح المصرفُ الحسابَ بعد التحقّق من الهوية، وتصل الحوالة في اليوم نفسه.\nوهذا سطر ثانٍ.';
const open = (content, name) => read(new File([content], name));
const refused = (content, name, key, params = {}) =>
  assert.rejects(open(content, name), (error) => {
    assert.ok(error instanceof DocumentError, `${name}: ${error.stack}`);
    assert.equal(error.key, key, name);
    for (const [param, value] of Object.entries(params)) assert.equal(error.params[param], value, name);
    return true;
  });

/** Encode in a table of one byte a sign, by decoding every byte. */
function encode(text, label) {
  const table = new Map(Array.from({ length: 256 }, (_, byte) => [new TextDecoder(label).decode(Uint8Array.of(byte)), byte]));
  return Uint8Array.from(text, (sign) => table.get(sign));
}

/** UTF-16 bytes. */
function wide(text, little, mark = '') {
  const bytes = Buffer.from(mark + text, 'utf16le');
  return little ? bytes : bytes.swap16();
}

test('text files in every encoding come out the same', async () => {
  const files = {
    utf8: TEXT, utf8mark: `\ufeff${TEXT}`, cp1256: encode(TEXT, 'windows-1256'), utf16le: wide(TEXT, true), utf16be: wide(TEXT, false),
    utf16lemark: wide(TEXT, true, '\ufeff'), utf16bemark: wide(TEXT, false, '\ufeff'), crlf: TEXT.replace('\n', '\r\n'),
  };
  for (const [name, content] of Object.entries(files)) {
    assert.deepEqual(await open(content, `ملف ${name}.txt`), { title: `ملف ${name}`, text: TEXT }, name);
  }
  const french = 'Déjà vu: où êtes-vous, garçon? Ça va très bien, merci à tous.';
  assert.equal((await open(encode(french, 'windows-1252'), 'f.txt')).text, french);
  const english = 'Plain words, no marks.';
  assert.equal((await open(wide(english, true), 'e.txt')).text, english);
});

test('titles come from headings or names, and are tame', async () => {
  assert.equal((await open('---\na: b\n---\n\nمقدمة\n\n# **العنوان**\n\nنص', 'x.md')).title, 'العنوان');
  assert.equal((await open('نص بلا عنوان', 'C:\\fakepath\\مذكرة.v2.md')).title, 'مذكرة.v2');
  const hostile = await open('نص', `a\u202egpj.${'س'.repeat(500)}\u0000<img src=x onerror=alert(1)>.txt`);
  assert.ok([...hostile.title].length <= 120 && !/[\u0000-\u001f\u202e]/.test(hostile.title));
  assert.equal((await open('نص', '')).title, 'txt');
  assert.equal((await open('\u0007نص\u202e مقلوب\u0000'.replace('\u0000', ''), 'a.txt').catch(({ key }) => key)), 'doc.binary');
  assert.equal((await open(`نص\u202e مقلوب\u2066. ${'كلام '.repeat(9)}`, 'a.txt')).text.slice(0, 9), 'نص مقلوب.');
});

test('a Word document gives its paragraphs in order, right-to-left ones too', async () => {
  const row = (...cells) => `<w:tr>${cells.map((cell) => `<w:tc>${paragraph(cell)}</w:tc>`).join('')}</w:tr>`;
  const body = [
    paragraph('عقد إيجار', '1'),
    '<w:p><w:pPr><w:bidi/></w:pPr><w:r><w:rPr><w:rtl/></w:rPr><w:t xml:space="preserve">الأجرة </w:t></w:r><w:r><w:t>BHD 300</w:t></w:r><w:r><w:rPr><w:rtl/></w:rPr><w:t xml:space="preserve"> كل شهر</w:t></w:r></w:p>',
    paragraph('قسم', '2'),
    paragraph('أ &amp; ب &lt;script&gt; &#x639;&#1593;'),
    '<w:p><w:r><w:t>سطر</w:t><w:br/><w:t>آخر</w:t><w:tab/><w:t>عمود</w:t></w:r><w:r><w:delText>محذوف</w:delText><w:instrText>PAGE</w:instrText></w:r></w:p>',
    `<w:tbl>${row('البند', 'القيمة')}${row('التأمين', '600')}</w:tbl>`,
    `<w:p><w:r><w:t>قبل</w:t><mc:AlternateContent><mc:Choice><w:txbxContent>${paragraph('صندوق')}</w:txbxContent></mc:Choice>` +
      `<mc:Fallback><w:txbxContent>${paragraph('صندوق')}</w:txbxContent></mc:Fallback></mc:AlternateContent><w:t> وبعد</w:t></w:r></w:p>`,
    paragraph('  '),
  ].join('');
  const notes = `<w:footnotes><w:footnote>${paragraph('حاشية')}</w:footnote></w:footnotes>`;
  for (const store of [false, true]) {
    const { title, text } = await open(docx(body, { 'word/footnotes.xml': notes }, { store }), 'عقد.docx');
    assert.equal(title, 'عقد');
    assert.deepEqual(text.split('\n\n'), [
      '# عقد إيجار', 'الأجرة BHD 300 كل شهر', '## قسم', 'أ & ب <script> عع', 'سطر\nآخر\tعمود', 'البند | القيمة', 'التأمين | 600', 'صندوق', 'قبل وبعد', 'حاشية',
    ]);
  }
});

test('a large Word document is read without holding up the rest', async () => {
  const body = Array.from({ length: 20000 }, (_, at) => paragraph(`الفقرة رقم ${at} من وثيقة طويلة.`)).join('');
  let turns = 0;
  const timer = setInterval(() => (turns += 1), 1);
  const { text } = await open(docx(body), 'طويل.docx');
  clearInterval(timer);
  assert.equal(text.split('\n\n').length, 20000);
  assert.ok(turns >= 3, `${turns} turns`);
});

test('zip bombs and other archives are refused before they grow', async () => {
  const zeros = Buffer.alloc(80 * 2 ** 20);
  await refused(docx('', { 'word/document.xml': zeros }), 'a.docx', 'doc.zipBomb');
  await refused(docx('', { 'word/document.xml': zeros.subarray(0, 8 * 2 ** 20) }), 'ratio.docx', 'doc.zipBomb');
  await refused(docx('', { 'word/document.xml': zeros }, { sizes: { 'word/document.xml': 1000 } }), 'lying.docx', 'doc.zipBomb');
  const many = Object.fromEntries(Array.from({ length: 5000 }, (_, at) => [`word/${at}`, '']));
  await refused(docx(paragraph('x'), many), 'many.docx', 'doc.zipBomb');
  await refused(docx(paragraph('سر'), {}, { flags: 1 }), 'locked.docx', 'doc.encrypted');
  await refused(zip({ 'xl/workbook.xml': '<x/>' }), 'sheet.xlsx', 'doc.unsupported');
  await refused(zip({ 'photo.txt': 'hello' }), 'any.zip', 'doc.unsupported');
  await refused(zip({}), 'none.docx', 'doc.unsupported');
});

test('broken Word documents say so', async () => {
  const whole = docx(paragraph('نص طويل يكفي لأن يُضغط ويُقرأ. '.repeat(40)));
  await refused(whole.subarray(0, whole.length - 40), 'cut.docx', 'doc.damaged');
  await refused(whole.subarray(0, 60), 'head.docx', 'doc.damaged');
  const start = whole.indexOf('word/document.xml') + 'word/document.xml'.length;
  for (let bit = 0; bit < 24; bit += 1) {
    const changed = Buffer.from(whole);
    changed[start + 5 + bit] ^= 1 << bit % 8;
    await refused(changed, `flipped ${bit}.docx`, 'doc.damaged');
  }
  await refused('ليس ملفًا مضغوطًا', 'fake.docx', 'doc.damaged');
  const doctype = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><w:document><w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>';
  await refused(docx('', { 'word/document.xml': doctype }), 'laughs.docx', 'doc.damaged');
  await refused(docx('', { 'word/document.xml': '<w:document><w:p><w:t a="' }), 'open.docx', 'doc.damaged');
  await refused(docx(paragraph(' ')), 'empty.docx', 'doc.empty');
});

test('the XML scanner is linear and knows no entities', async () => {
  assert.equal(unescape('&amp;lt; &bogus; &#0; &#xD800; &#x10ffff;'), '&lt; &bogus; \ufffd \ufffd \u{10ffff}');
  const found = [];
  await walk('<?x?><a b="1>2" c=\'"\'><!-- <no> --><d:e/>t<![CDATA[<x>&]]></a>', { open: (name) => found.push(name), close: (name) => found.push(`/${name}`), text: (text) => found.push(text) });
  assert.deepEqual(found, ['a', 'e', '/e', 't', '<x>&', '/a']);
  const cpu = process.cpuUsage().user;
  for (const hostile of ['<"'.repeat(3e5), "<a b='".repeat(2e5), '<'.repeat(5e5), '&'.repeat(5e5), '<a>'.repeat(2e5)]) await walk(hostile, {}).catch(() => {});
  assert.ok((process.cpuUsage().user - cpu) / 1e6 < 3);
});

test('what is no document is refused by kind', async () => {
  await refused('', 'empty.txt', 'doc.empty');
  await refused(' \n\t ', 'blank.txt', 'doc.empty');
  await refused('\ufeff', 'mark.txt', 'doc.empty');
  await refused('… ؟ — !', 'signs.md', 'doc.empty');
  const png = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10]), Buffer.from(Array.from({ length: 3000 }, (_, at) => (at * 7919) & 255))]);
  await refused(png, 'photo.txt', 'doc.binary');
  await refused(png, 'photo', 'doc.binary');
  await refused(Buffer.from('abc\0def'), 'nul.md', 'doc.binary');
  await refused('{\\rtf1 hello}', 'old.txt', 'doc.unsupported', { type: 'rtf' });
  await refused('anything', 'table.xlsx', 'doc.unsupported', { type: 'xlsx' });
  const ole = Buffer.concat([Buffer.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]), Buffer.alloc(600)]);
  await refused(ole, 'old.doc', 'doc.unsupported');
  await refused(Buffer.concat([ole, Buffer.from('EncryptedPackage', 'utf16le')]), 'locked.docx', 'doc.encrypted');
  await refused('no pdf', 'fake.pdf', 'doc.damaged');
  const large = { size: LIMITS.file + 1, name: 'large.txt', arrayBuffer: () => assert.fail('a file too large is not read') };
  await assert.rejects(read(large), ({ key, params }) => key === 'doc.tooLarge' && params.limit === LIMITS.file);
  await refused('كلمة '.repeat(LIMITS.text / 4), 'long.txt', 'doc.tooLarge', { limit: LIMITS.text });
});

test('a PDF gives its lines in reading order in both scripts', PDFJS, async () => {
  const back = (word) => [...word].reverse().join('');
  const pages = [
    [[50, 700, 'First line'], [150, 700, 'of a page.'], [50, 680, 'Second line.'], [50, 600, 'Apart.']],
    [[500, 700, back('الحوالة')], [440, 700, back('تصل')], [400, 700, back('اليوم')], [440, 680, back('المصرف')], [390, 680, 'IBAN'], [340, 680, back('رقم')]],
  ];
  const { text, pages: count } = await open(pdf(pages), 'ملف.pdf');
  assert.equal(count, 2);
  assert.deepEqual(text.split('\n'), ['First line of a page. Second line.', '', 'Apart.', '', 'الحوالة تصل اليوم المصرف IBAN رقم']);
});

test('pieces of a line come in reading order, whatever way they stand on the page', () => {
  /** Items side by side from the left, six units a letter; a space in the list is a gap. */
  const line = (y, ...pieces) => {
    let left = 50;
    return pieces.flatMap((str) => {
      const item = { str, transform: [12, 0, 0, 12, left, y], width: 6 * str.length, height: 12 };
      left += item.width;
      return str === ' ' ? [] : [item];
    });
  };
  const arabic = line(700, 'مستقيم', ' ', 'كلام', ' ', 'هذا');
  const read = (...pieces) => pageLines([...arabic, ...line(600, ...pieces)]).split('\n\n')[1];
  assert.equal(read('ثم', ' ', 'Central', ' ', 'Bank', ' ', 'رقم'), 'رقم Central Bank ثم');
  assert.equal(read('يوم', ' ', 'BH67', ' ', 'BMAG', ' ', '0000', ' ', 'رقم'), 'رقم BH67 BMAG 0000 يوم');
  assert.equal(read('نهاية', ' ', '10', ' ', '5', ' ', 'من'), 'من 5 10 نهاية');
  assert.equal(read('.', '(', 'تقريبا', ')', ' ', 'سعر'), 'سعر (تقريبا).');
  assert.equal(read('.end', ' ', 'كلمة', ' ', 'Start of it'), 'Start of it كلمة end.');
  assert.equal(read('ﺔ', 'ﻐ', 'ﻟ'), 'لغة');
  const english = pageLines([...line(700, 'Mostly', ' ', 'English', ' ', 'words'), ...line(600, 'the', ' ', 'مركزي', ' ', 'مصرف', ' ', '(bank)')]);
  assert.equal(english.split('\n\n')[1], 'the مصرف مركزي (bank)');
  assert.equal(pageLines([...line(700, 'a word is hyphen-'), ...line(686, 'ated here, twice')]), 'a word is hyphenated here, twice');
  assert.equal(pageLines([...line(700, 'Short.'), ...line(686, 'A line that is much longer than it.')]), 'Short.\nA line that is much longer than it.');
  assert.equal(pageLines([]), '');
});

test('broken, locked and empty PDFs say so', PDFJS, async () => {
  await refused('%PDF-1.7\nrubbish', 'a.pdf', 'doc.damaged');
  await refused(pdfFile(['<< /Type /Catalog >>']), 'pages.pdf', 'doc.damaged');
  const lock = `/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <${'41'.repeat(32)}> /U <${'42'.repeat(32)}> >> `;
  await refused(pdf([[[50, 700, 'secret']]], lock), 'locked.pdf', 'doc.encrypted');
  await refused(pdf([[], []]), 'scan.pdf', 'doc.empty', { pages: 2 });
  const whole = pdf([[[50, 700, 'words of a page']]]);
  const cut = await open(whole.subarray(0, whole.length - 120), 'cut.pdf').catch(({ key }) => key);
  assert.ok(cut === 'doc.damaged' || cut.text === 'words of a page', JSON.stringify(cut));
  const loop = ['<< /Type /Catalog /Pages 2 0 R >>', '<< /Type /Pages /Count 9 /Kids [2 0 R] >>'];
  await refused(pdfFile(loop), 'loop.pdf', 'doc.damaged');
});
