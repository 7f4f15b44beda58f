/** Prints documents for the tests in a browser as one JSON: name -> base64. `node samples.mjs hostile` prints the hostile ones. */

import { docx, paragraph, pdf, pdfFile, zip } from './files.mjs';

const back = (word) => [...word].reverse().join('');
const good = {
  'arabic.pdf': pdf([[[500, 700, back('الحوالة')], [440, 700, back('تصل')], [400, 700, back('اليوم')]]]),
  'lines.pdf': pdf(Array.from({ length: 40 }, (_, page) => [[50, 700, `Page ${page}`], [50, 680, 'of many.']])),
  'broken.pdf': Buffer.from('%PDF-1.7 rubbish'),
  'word.docx': docx(paragraph('عقد', '1') + paragraph('الأجرة BHD 300 كل شهر')),
  'bomb.docx': docx('', { 'word/document.xml': Buffer.alloc(80 * 2 ** 20) }),
};

const lock = `/ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O <${'41'.repeat(32)}> /U <${'42'.repeat(32)}> >> `;
const flipped = docx(paragraph('نص'));
flipped[flipped.length - 40] ^= 255;
const escaped = (text) => text.replace(/[<>&]/g, (sign) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;' })[sign]);
const script = '<img src=x onerror="window.hurt=\'document\'"><script>window.hurt=\'document\'</script>';
const hostile = () => ({
  'bomb.docx': good['bomb.docx'],
  'many.docx': zip(Object.fromEntries(Array.from({ length: 5000 }, (_, n) => [`${n}`, 'x']))),
  'flipped.docx': flipped,
  'laughs.docx': docx('', { 'word/document.xml': '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><w:document>&b;</w:document>' }),
  'fake.docx': Buffer.from('ليس ملفًا مضغوطًا'),
  'broken.pdf': good['broken.pdf'],
  'loop.pdf': pdfFile(['<< /Type /Catalog /Pages 2 0 R >>', '<< /Type /Pages /Count 9 /Kids [2 0 R] >>']),
  'locked.pdf': pdf([[[50, 700, 'secret']]], lock),
  'scan.pdf': pdf([[], []]),
  'photo.txt': Buffer.from([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10, ...Array.from({ length: 3000 }, (_, at) => (at * 7919) & 255)]),
  'script.docx': docx(paragraph(escaped(`عقد ${script}`), '1') + paragraph(escaped(`كلام ${script}`))),
  'script.pdf': pdf([[[50, 700, '<img'], [100, 700, 'src=x'], [150, 700, "onerror=window.hurt='pdf'>"]]]),
});

const files = process.argv[2] === 'hostile' ? hostile() : good;
process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(files).map(([name, file]) => [name, file.toString('base64')]))));
