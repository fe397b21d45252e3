// The parts that views are made of.
export { Icon } from "./parts/icons.js";
export { Button, Field, Slider, Select, Tabs, Switch, Progress, EmptyState, Dialog, ask, toast, Toasts, copyText, newId } from "./parts/basic.js";
export { InEnglish } from "./parts/english.js";
export { ErrorNote, Said } from "./parts/errors.js";
export { Picture, FilePreview, Grid, dropFiles, pickFiles, checkFiles, PicturePick } from "./parts/pictures.js";
export { SchemaForm, fieldsOf } from "./parts/form.js";
export { ReceiptCard } from "./parts/receipt.js";
