/** Prints documents for the tests in a browser as one JSON: name -> base64. */

import { docx, paragraph, pdf } from './files.mjs';

const back = (word) => [...word].reverse().join('');
const files = {
  'arabic.pdf': pdf([[[500, 700, back('الحوالة')], [440, 700, back('تصل')], [400, 700, back('اليوم')]]]),
  'lines.pdf': pdf(Array.from({ length: 40 }, (_, page) => [[50, 700, `Page ${page}`], [50, 680, 'of many.']])),
  'broken.pdf': Buffer.from('%PDF-1.7 rubbish'),
  'word.docx': docx(paragraph('عقد', '1') + paragraph('الأجرة BHD 300 كل شهر')),
  'bomb.docx': docx('', { 'word/document.xml': Buffer.alloc(80 * 2 ** 20) }),
};
process.stdout.write(JSON.stringify(Object.fromEntries(Object.entries(files).map(([name, file]) => [name, file.toString('base64')]))));
